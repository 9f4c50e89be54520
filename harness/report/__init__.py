"""What a run says, for people and for machines: terminal, JSON, JUnit, KTAP, HTML, progress.

Reads a judged run and judges nothing.  What came from a guest is shown as text and never
interpreted, in any of the formats.
"""
