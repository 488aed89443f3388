"""The soak: replicas of every service at half of what they can do, for long; nothing grows, is lost or is twice."""
