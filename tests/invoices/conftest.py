from tests.scripted import platform as platform
