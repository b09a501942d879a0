"""Tests of the monitor in AWS."""
