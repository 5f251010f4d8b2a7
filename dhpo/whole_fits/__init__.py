"""Cross-validation by whole fits: one candidate is fitted on one split of data that fits a worker.

For estimators without `partial_fit`, and for data in memory, with the semantics of scikit-learn's own searches.
"""
