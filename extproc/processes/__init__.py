"""`extproc up` and `extproc serve` as processes: a supervisor, one control process, and the workers that decide.

The supervisor starts the others, starts them again when they die, and takes them along when it goes: it is the parent
of all, Envoy included, and the kernel ends them should it be killed. It holds what has to outlive them: the private
directory with their sockets, the socket on which the control process hands out the table, the memory of the workers'
counters. It imports little and does nothing else, so that there is little to kill it.

The control process (`extproc.app`) owns everything that is known: resources, history, Envoy's configuration, the admin
HTTP. The workers own nothing; each keeps the last table that it was sent. So either may die without the other:

    supervisor ── Envoy ───────── ADS, access log ────────▶ control
        │             └─ ext_proc ─▶ worker 0 … N-1 ◀─ table ─┘
        └── starts, watches, ends all of them
"""
