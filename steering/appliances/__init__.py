"""The fleet: every appliance as it said last, as its players found it, and as it stands now.

fleet       what every appliance last said, and its health               (pure)
roll        the appliances as they stand, in columns                     (pure)
holdings    who holds what, in bits                                      (pure)
admission   what was promised of its capacity and does not show yet      (pure)
experience  which appliances' players stall                              (pure)
complaints  what in CMCD events says so (pure); hosts: of whom           (pure)
probe       asks appliances that fell silent whether they live
"""
