# SPDX-License-Identifier: GPL-3.0-or-later
"""What perf/compare is made of: machine (processes and what they cost), gates, loads, table."""
