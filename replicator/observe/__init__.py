"""What people and monitoring see: status, lag, metrics, HTTP and the page."""
