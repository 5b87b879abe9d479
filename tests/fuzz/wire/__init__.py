"""Broken and hostile bytes on real sockets: whatever is sent, a server goes on, and says so in HTTP."""
