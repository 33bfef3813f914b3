"""Anomaly: is this clip unlike what normally happens here?"""
