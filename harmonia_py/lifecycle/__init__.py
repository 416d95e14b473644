"""Support access, export, closure, backups and incidents: what happens to tenants over time."""
