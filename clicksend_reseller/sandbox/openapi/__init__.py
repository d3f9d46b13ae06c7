"""The sandbox's OpenAPI description."""
