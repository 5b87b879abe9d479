"""What a trained model is: its manifest and signature, the registry, loading, scoring and images.

scikit-learn and joblib are imported in this room only. ``manifest``, ``signature`` and ``images`` are cheap
to import; ``loading`` and ``registry`` bring scikit-learn with them.
"""
