"""Machinery around the use case, managed by the template: `copier update` changes these files."""
