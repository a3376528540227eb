"""A stand-in for the providers on loopback: answers as they do, and refuses what they refuse."""

from __future__ import annotations

from standin.server import Received, Standin

__all__ = ["Received", "Standin"]
