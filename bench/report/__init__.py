"""What the commands print, as rich renderables and Markdown, and the pictures; nothing here measures."""
