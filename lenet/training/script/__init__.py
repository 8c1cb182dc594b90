"""The standalone script of a case: `template.py`, which `lenet.commands.script` fills in. No worker uses it."""
