"""Properties, expectations, verdicts.  Pure: values in, values out."""
