"""What a run will need before it is begun: parameters, arithmetic, memory, time; and where its time goes."""
