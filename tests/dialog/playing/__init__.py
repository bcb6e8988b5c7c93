# SPDX-License-Identifier: GPL-3.0-or-later
"""Plays the dialogs against the running gate: the parts of live.py."""
