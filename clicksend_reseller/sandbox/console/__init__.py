"""The web page that shows a sandbox and steers it."""
