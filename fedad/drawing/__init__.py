"""How the demo plants are drawn: products on a relief, under each plant's lamp and lens."""
