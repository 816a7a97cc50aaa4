"""Modules that turn features of sound, ink and images into the steps of recurrent layers."""
