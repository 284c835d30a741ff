"""Numbers to distributions over actions: embed, backbone, head."""
