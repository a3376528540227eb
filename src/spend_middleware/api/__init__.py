"""LiteLLM's spend API as an ASGI application that mounts anywhere."""
