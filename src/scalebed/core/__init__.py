"""What every room needs: errors, files, cells, arithmetic of N, D, M and C, provenance."""
