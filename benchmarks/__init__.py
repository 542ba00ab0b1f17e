"""What the guard costs, measured side by side in one run. ``./run bench`` runs them."""
