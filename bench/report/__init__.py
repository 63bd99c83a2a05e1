"""Output of the commands: tables as rich renderables and Markdown, and pictures. This package measures nothing."""
