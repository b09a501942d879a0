"""Tests of the AWS side, on moto."""
