"""What runs on the computer: recordings, training, evaluation, boards, link, reports, command line."""
