"""TimeSformer: which action is this?"""
