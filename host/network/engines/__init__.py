"""What steps the float model: the readable loop for numba, and a C kernel that is faster."""
