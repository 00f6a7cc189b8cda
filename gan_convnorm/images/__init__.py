"""Images: files and folders of them, arrays, grids, and how pixels become numbers."""
