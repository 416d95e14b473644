"""Harmonia: a Supabase-native, multi-tenant CRM backend toolkit."""

__all__ = ["__version__"]

__version__ = "0.1.0"
