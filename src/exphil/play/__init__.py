"""A policy at play. Never torch: the agent is handed a policy object and passes numpy."""
