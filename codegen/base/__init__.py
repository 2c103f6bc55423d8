"""What every room uses: errors, events, sensor size, shipped files, compiled loops."""
