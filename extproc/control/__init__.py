"""What should run and what does: admission of resources, readiness, status, and the one writer of the Table."""
