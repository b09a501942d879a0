"""The drift monitor in AWS: a function that looks at each window of captured traffic, and how its code gets there."""
