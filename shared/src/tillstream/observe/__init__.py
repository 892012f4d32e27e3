"""How a process shows what it does: logs, metrics, health and the ops server, and how it starts and stops."""
