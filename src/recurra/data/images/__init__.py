"""Images of lines of text: read, cropped from pages, normalised, distorted."""
