"""Properties by a potential: structures in, quantities out.

A property is a class with a name, settings and the method :meth:`~.model.Property.compute`; :mod:`.registry` finds those of
this package, of the user's files and of other packages.
"""
