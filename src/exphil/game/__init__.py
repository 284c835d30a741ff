"""The vocabulary of Melee: names and numbers, columns of a game, controllers, stages, time. numpy only."""
