"""Pose sequences: which activity is this skeleton doing?"""
