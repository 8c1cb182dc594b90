"""What a report says in whatever form: the runs gathered, the headline, leaders, facts."""
