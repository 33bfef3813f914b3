"""RepNet: how many times was it repeated, how fast, and when?"""

# what a server offers first
DEFAULT_CONFIG = 'repnet_small'
