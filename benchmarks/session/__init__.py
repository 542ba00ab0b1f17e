"""How well the session layer tells abuse from use: weeks of simulated customers and attackers, through the stack."""
