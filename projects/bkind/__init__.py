"""BKinD: where are the moving parts, without labels?"""
