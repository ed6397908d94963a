"""The constants of the modular addition notebook."""

MOD = 113
"""The modulus."""

MODEL_SAVE_PATH = "modular-addition-113"
"""The network: that which comes with the package; put the path of your own weights here."""
