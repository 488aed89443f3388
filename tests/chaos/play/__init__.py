"""What happens in a chaos run: processes, hands at the broker, customers, the operator; all as the plan says."""
