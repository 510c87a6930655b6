"""Reviews: the queue, score forms, scores, rules, feedback."""
