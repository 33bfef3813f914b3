"""The commands of the core, one a file; `mmotion.cli.discovery` says what a command must have."""
