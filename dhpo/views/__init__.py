"""What people see of a search: functions of its history, without a terminal, a notebook or a cluster."""
